"""What is wrong with policies, dashboards, uptime checks and metric catalogues, and what they cost.

`linter.lint` reads files and answers a report; each other module holds the rules of one kind of thing.
"""
