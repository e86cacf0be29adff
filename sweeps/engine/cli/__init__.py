"""From the command line and a YAML file to validated options, or one message with every problem."""
