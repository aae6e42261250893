"""The machine in virtual time: its profiles, and how it is started."""
