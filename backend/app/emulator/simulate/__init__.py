"""A synthetic service whose week, and whose accidents, every alert policy is played against.

`world` reads what a service writes, `signals` makes a stretch of it, `foresee` evaluates conditions over whole ranges,
`play` turns that into incidents by the emulator's own evaluator, `judge` compares them with what was expected.
"""
