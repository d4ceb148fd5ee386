"""The vendor's side of WebCast tasks: signed, paced and faithful, so that everything else can be tried without it."""
