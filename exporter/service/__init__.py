"""The running exporter: its composition, settings, roles, reload, callbacks and pushes."""
