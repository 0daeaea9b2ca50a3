// Package control answers who could take a vault, stop it, or lose it: the control map and the control numbers
// (product.md, spec/control).
//
// A Structure says where every copy of every key share lies, live or backed up, where guardians' keys lie, and who may spend within
// policy. Of each Kind of domain (organisation, person, cloud account, …) Measure finds the smallest coalitions: of domains that together
// reach enough to sign (steal), whose loss stops signing (halt), and whose loss is the end of the vault, SOS included (lose). Spend is
// beside them and never mixed with them: people who act within policy need no key.
//
// The numbers are exact for every Structure that Validate accepts: they come from the access structure itself, never from samples.
// They are as good as the claims they rest on: each copy carries the class of its evidence.
//
// All is pure: a Structure in, figures out.
package control
