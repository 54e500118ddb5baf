"""A launcher for ROS 2 XML launch files, without ROS.

Processing of a file: `xml_file` reads it with line numbers, `schema` checks tags and attributes and parses
their substitutions (`template`), `actions` evaluates it into a plan of processes (`context`), and once the
whole tree of included files is evaluated, `supervisor` starts them. So an error in any file stops the launch before
any process is started.
"""
