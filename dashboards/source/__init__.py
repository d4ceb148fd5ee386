"""What makes dashboards/grafana/*.json: plain dicts, and a few functions. `make dashboards` writes the files anew.

queries: selectors, and PromQL that several panels share. words: the vocabulary as Grafana shows it, texts and colours.
fields: thresholds, value mappings, overrides, columns, links. panels, over_time: a function per type of panel.
frame, variables, marks (annotations): the document around the panels. texts: what is said of each panel and variable,
in both languages. fleet, task, exporter: a package per dashboard.
"""
