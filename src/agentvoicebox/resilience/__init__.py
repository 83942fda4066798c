"""Pure resilience: breaker, back-off and sliding window as functions of state and time."""
