"""From nothing to a deployment that belongs to nobody: the plan, the journal, the run, and the check afterwards.

`blueprint` is the vocabulary (contracts at addresses known before anything is sent, and the calls between them),
`roles` says who may call what, `plan` writes the steps down, `adapters` those of what is made beside it for other
protocols' sake, `record` is the journal and the deployment file, `run` takes the steps, `check` proves what is there,
and `proposal` makes what governance does with it afterwards.
"""
