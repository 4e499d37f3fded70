"""The margin model: pools of collateral and positions, and everything that follows from two functions of the prices.

`margin_balance(P)` is collateral at its haircut plus unrealized PnL; `requirement(P)` is what the exchange holds it
against. A pool is liquidated where the first falls to the second. An isolated position is a pool of one.
"""
