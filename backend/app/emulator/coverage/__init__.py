"""Which methods of the published services the emulator answers, as a page."""
