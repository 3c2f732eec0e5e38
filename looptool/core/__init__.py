"""The basic data types and the runtime of a stage. Depends on no other package of looptool."""
