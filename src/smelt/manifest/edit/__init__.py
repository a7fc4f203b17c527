"""Edits of manifests: text and change → new text. What is not meant by the change keeps every byte."""
