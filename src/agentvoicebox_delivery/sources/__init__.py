"""Where parcels are looked up: the PostgreSQL catalogue or Sanity, behind a cache with a time budget."""
