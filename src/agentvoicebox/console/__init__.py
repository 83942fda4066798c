"""The console's page: files built from `web/` into `static`, and how a gateway serves them."""
