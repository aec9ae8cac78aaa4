"""The heart: what a run is and what may happen next. Pure: no clock, no network, no randomness, no third-party import."""
