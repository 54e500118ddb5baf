"""A launcher for ROS 2 XML launch files, without ROS.

The way of one file: `xml_file` reads it with line numbers, `schema` checks tags and attributes and parses
their substitutions (`template`), `actions` evaluates it into a plan of processes (`context`), and only when
the whole tree of included files is evaluated does `supervisor` start them. So a mistake anywhere stops the
launch before it has started anything.
"""
