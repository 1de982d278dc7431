"""The probes that come with the suite. One line per probe: its name, and where it lives."""

CATALOGUE = {
    "attack": "probes.attack:Attack",
    "bias_auc": "probes.bias_auc:BiasAuc",
    "data_audit": "probes.data_audit:DataAudit",
    "dialect": "probes.dialect:Dialect",
    "calibration": "probes.calibration:Calibration",
    "elsewhere": "probes.elsewhere:Elsewhere",
    "certificate": "probes.certificate:Certificate",
    "group_rates": "probes.group_rates:GroupRates",
    "impact_ratio": "probes.impact_ratio:ImpactRatio",
    "membership": "probes.membership:Membership",
    "noise": "probes.noise:Noise",
    "reduction": "probes.reduction:Reduction",
    "plausibility": "probes.plausibility:Plausibility",
    "reliance": "probes.reliance:Reliance",
    "replay": "probes.replay:Replay",
    "slices": "probes.slices:Slices",
    "swaps": "probes.swaps:Swaps",
    "templates": "probes.templates:Templates",
    "typos": "probes.typos:Typos",
}
