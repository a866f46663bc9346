"""The experiments of the article, each a question put to a few nets trained alike.

`catalogue` says what is compared, `trials` trains it, `cascades` asks the assembled cascade, `report` writes
down what came out; `deepevent reproduce` is the command.
"""
