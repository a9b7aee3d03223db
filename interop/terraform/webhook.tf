resource "pingone_webhook" "siem" {
  environment_id          = var.environment_id
  name                    = var.changed ? "SIEM 2" : "SIEM"
  enabled                 = var.changed
  format                  = "ACTIVITY"
  verify_tls_certificates = true
  http_endpoint_url       = var.changed ? "https://siem.example.org/2" : "https://siem.example.org/1"
  http_endpoint_headers   = { Authorization = var.changed ? "Bearer two" : "Bearer one" }

  filter_options = {
    included_action_types    = var.changed ? ["DEVICE.CREATED"] : ["DEVICE.CREATED", "DEVICE.DELETED"]
    included_application_ids = [pingone_application.bank.id]
    included_population_ids  = [pingone_population.staff.id]
    ip_address_exposed       = var.changed
    useragent_exposed        = var.changed
  }
}
