"""Sizes that both wires share."""

# emulator's own bound; Google's APIs refuse requests above 10 MB (docs.cloud.google.com/logging/quotas), we leave room
# for what a client sends uncompressed.
MAX_BODY_BYTES = 20 * 2**20
# Ours: a client that sends a body drop by drop is let go.
MAX_BODY_SECONDS = 60.0
