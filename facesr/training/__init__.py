"""A config -> a run: its loop, hooks, optimiser and processes. Below: the order of all hooks."""

#: Each hook's ``priority``, as MMEngine counts: 0 acts first, 100 last. Hooks of one number act in
#: the order of their names in ``default_hooks``. The stock hooks stand where MMEngine puts them.
PRIORITIES = {
    'GeneratorEMAHook': 0,  # adds the average's scores before any hook logs them or keeps the best
    'LossHook': 10,  # a stock RuntimeInfoHook: losses are in the message hub for those after it
    'RunSummaryHook': 10,  # refuses a config or a net before weights are loaded
    'PretrainedGeneratorHook': 10,  # loads weights before they are laid out
    'ProgressHook': 50,  # a stock IterTimerHook: times and ETA are there before they are logged
    # 50: DistSamplerSeedHook, PanelHook
    # 60: LoggerHook
    # 70: ParamSchedulerHook
    'FastStepHook': 70,  # lays out the weights that others have loaded
    'StopHook': 70,  # ends the run after the last of its log lines
    'SafeCheckpointHook': 90,  # saves what all others have done
}
