"""All that knows the vendor's wire: signing, pacing, the one call, and what its answers mean."""
