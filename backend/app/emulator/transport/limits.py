"""Sizes that both wires share."""

# emulator's own bound; Google's APIs refuse requests above 10 MB (docs.cloud.google.com/logging/quotas), we leave room
# for what a client sends uncompressed.
MAX_BODY_BYTES = 20 * 2**20
