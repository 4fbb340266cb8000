"""`cloudops doctor`: what is missing between a service and what arrives of it.

Works without the packages of the emulator.
"""

from .checks import examine
from .model import Check, Subject

__all__ = ["Check", "Subject", "examine"]
