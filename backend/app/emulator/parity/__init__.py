"""The same calls to the emulator and to the real API, and where their answers differ.

`probes` are the calls, `wire` sends one over REST or gRPC, `comparison` runs both sides, `recorded` keeps the answers.
"""
