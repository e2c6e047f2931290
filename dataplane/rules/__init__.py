"""The rule language of Suricata: text in, the tables of the rule image out (dataplane/include/reef/rules.h)."""
