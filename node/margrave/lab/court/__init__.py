"""The court: what forecasts of risk are worth on data that they have not seen, by the field's own tests.

`losses` score a forecast, `coverage` and `shortfall` test whether it says the truth about itself, `comparison` whether
it beats another. All pure, over arrays.
"""
