"""Lending protocols: who was liquidated, who is about to be, and what governance changed about the collateral.

events.py                       one vocabulary for what their logs say
aave_v3, aave_v2, compound_v2, compound_v3, morpho    calls, events and arithmetic of each (pure)
aave, compound, morpho_blue     one deployment read at one block
health.py, window.py            borrowers by health factor; liquidations of the last hour (pure)
watcher.py                      any of them as a `Watcher`
traces.py                       liquidations in the call traces of whole blocks
"""
