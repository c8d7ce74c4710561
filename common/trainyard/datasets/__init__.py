"""Data specs to frames and arrays: what a caller names becomes a `trainer.Data`, or an `InvalidData`.

`loading.load` reads and splits, `loading.inspect` finds at submit what can be known cheaply, and
`listing.listing` says what there is. Importing this package alone loads nothing heavy.
"""
