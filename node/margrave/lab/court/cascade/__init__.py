"""The chamber of liquidation cascades: what history shows of them, what it does not and how that is told from prices,
and who foresees them.

`books` reads liquidations and deposits, `leverage` tells where debts would be liquidated, `questions` joins both with
the panel, `answers` is who is asked, `chamber` judges.
"""
