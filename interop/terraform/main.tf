# What an operator of PingOne writes for MFA with a native app, with nothing of ours in it but the hosts.

terraform {
  required_version = ">= 1.6"

  required_providers {
    pingone = {
      source  = "pingidentity/pingone"
      version = "1.20.0"
    }
  }
}

provider "pingone" {
  client_id      = var.worker_client_id
  client_secret  = var.worker_client_secret
  environment_id = var.environment_id
  region_code    = "EU"
  http_proxy     = var.http_proxy

  service_endpoints {
    auth_hostname = var.auth_hostname
    api_hostname  = var.api_hostname
  }
}

variable "environment_id" {
  description = "The environment in which everything is made; the worker lives in it too."
  type        = string
}

variable "worker_client_id" {
  description = "The client id of a worker application with the roles for all that follows."
  type        = string
}

variable "worker_client_secret" {
  description = "Its secret."
  type        = string
  sensitive   = true
}

variable "auth_hostname" {
  description = "The host of authentication. The provider takes neither a port nor an address."
  type        = string
}

variable "api_hostname" {
  description = "The host of the management API, without /v1. May be the same."
  type        = string
}

variable "http_proxy" {
  description = "A proxy to go through, for a server that is not at port 443."
  type        = string
  default     = null
}

variable "google_service_account_key" {
  description = "The JSON key of a Google service account, which may send by Firebase."
  type        = string
  sensitive   = true
}

variable "apns_signing_key" {
  description = "The private key of an APNs token, as PEM."
  type        = string
  sensitive   = true
}

variable "changed" {
  description = "Gives every attribute that can change in place its other value."
  type        = bool
  default     = false
}
