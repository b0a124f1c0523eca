"""The composite score before the court: whether it means the same in every market and year, and what it says of crashes
before and while they happen.

`told` walks the ladder forward and makes the score of it, `calibration` holds it against what the reference straddle
then lost, `crashes` finds the crashes of a history by a rule, `alarms` asks who rose before them, `trust` whether the
confidence beside the score is honest, and `chamber` lays it before the judges.
"""
