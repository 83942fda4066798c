# Who may do what. The one set of rules: AgentVoiceBox evaluates it itself, or an OPA server does (docs/tenants.md).
#
# input: {"tenant", "key", "scopes": [...], "action", "resource": {"tenant", "id"}}
# decision: {"allow": bool, "reason": "..."}; whatever no rule allows is refused.
#
# To restrict further, add a file of this package with rules `deny contains "why" if { ... }`.
package agentvoicebox.access

import rego.v1

# Admin keys of this tenant run the whole deployment; those of another tenant run their own.
operator := "default"

# The scope that each action needs. An action that is not listed is nobody's.
scope_of := {
	"session.connect": "realtime",
	"session.open": "realtime",
	"session.resume": "realtime",
	"session.read": "realtime",
	"model.list": "realtime",
	"tool.call": "realtime",
	"audio.speech": "realtime",
	"audio.transcription": "realtime",
	"client_secret.create": "client_secrets",
	"admin.tenant.list": "admin",
	"admin.tenant.create": "admin",
	"admin.tenant.read": "admin",
	"admin.tenant.change": "admin",
	"admin.project.read": "admin",
	"admin.project.create": "admin",
	"admin.key.read": "admin",
	"admin.key.create": "admin",
	"admin.key.rotate": "admin",
	"admin.key.revoke": "admin",
	"admin.audit.read": "admin",
	"admin.usage.read": "admin",
	"admin.event.read": "admin",
	"admin.event.change": "admin",
	"admin.gate.read": "admin",
	"admin.status.read": "admin",
}

# What a tenant must not do to itself.
for_operators := {
	"admin.tenant.list",
	"admin.tenant.create",
	"admin.tenant.change",
	"admin.gate.read",
	"admin.status.read",
}

has_scope if scope_of[input.action] in input.scopes

is_own if input.resource.tenant == input.tenant

is_operator if {
	input.tenant == operator
	"admin" in input.scopes
	startswith(input.action, "admin.")
}

is_in_reach if is_own

is_in_reach if is_operator

deny contains sprintf("the key has no scope '%s'", [scope_of[input.action]]) if not has_scope

deny contains "it belongs to another tenant" if not is_in_reach

deny contains "only an operator may" if {
	input.action in for_operators
	not is_operator
}

default decision := {"allow": false, "reason": "no rule allows it"}

decision := {"allow": true, "reason": sprintf("the key has the scope '%s'", [scope_of[input.action]])} if count(deny) == 0

decision := {"allow": false, "reason": concat("; ", sort(deny))} if count(deny) > 0
