"""Client of the vendor's API: signing, rate limit, the call GetWebCastTask, its replies and errors, callbacks."""
