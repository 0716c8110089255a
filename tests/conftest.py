"""Settings of all tests."""

from hypothesis import settings

# Shared machines are slow at times; that is no fault of the code.
settings.register_profile("uemdask", deadline=None)
settings.load_profile("uemdask")
