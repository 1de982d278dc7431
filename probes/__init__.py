"""The probes that come with the suite. One line per probe: its name, and where it lives."""

CATALOGUE = {
    "attack": "probes.attack:Attack",
    "group_rates": "probes.group_rates:GroupRates",
    "noise": "probes.noise:Noise",
    "reliance": "probes.reliance:Reliance",
    "swaps": "probes.swaps:Swaps",
    "templates": "probes.templates:Templates",
    "typos": "probes.typos:Typos",
}
