"""What a node's forecasts do once they are served: how far it widens and drifts in years of hours, and what the models
say between the hours. The figures in docs/architecture.md and docs/models.md are of docs/served.json.

history (hourly stretches of a folder) -> life (an asset's hours, one round each) and between (asked at half past) ->
study (which spans, and the file). `python -m margrave.lab.served --data DIR` runs it.
"""
