"""Automated market makers: what a pool says its price is, over how long, and what it costs to move it.

ticks.py, swap_steps.py, concentrated.py    concentrated liquidity in integers: swaps as the contract does them
constant_product.py                         two reserves and their product
stable_swap.py, curve.py                    Curve's plain pools of stablecoins, for pegs
uniswap_v2.py, uniswap_v3.py, uniswap_v4.py calls and events, with the families that share their layout
swaps.py                                    swaps out of logs and traces, in one form
states.py                                   recorded states, recognised by their shape; other curves refused by name
watcher.py                                  what is read of the pools that an operator names, at one block
"""
