"""From a folder of submissions to a gradebook: extract, work, judge, book, feedback."""
