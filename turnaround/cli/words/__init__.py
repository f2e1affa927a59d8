"""The words of a command line: what verbs take, what a shell offers, and the Plan they come to.

arguments: words that several verbs take · completion: those a shell offers · planning: words to a
Plan · bounds: when a sweep begins, and how long it may take
"""
