"""The half of the sandbox that needs nothing but Python 3.11: installing, starting, stopping, asking."""
