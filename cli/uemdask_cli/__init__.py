"""The `uemdask` command: one function a verb, no analysis of its own."""
