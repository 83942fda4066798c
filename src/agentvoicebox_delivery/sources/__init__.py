"""Sources of parcels: the PostgreSQL catalogue or Sanity, with a cache and a time budget."""
