"""The web server and dashboard of DeepEvent."""
