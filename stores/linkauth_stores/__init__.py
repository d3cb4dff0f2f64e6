"""The stores that come with linkauth. Import each from its own module, so that only its users need its backend."""
