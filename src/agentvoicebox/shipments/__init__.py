"""Where parcels are kept: adapters of the shipments port."""
