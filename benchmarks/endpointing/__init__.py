"""How soon turns end, against how many callers are cut off: turns that were recorded once, through the product's detector."""
