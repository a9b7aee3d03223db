resource "pingone_population" "staff" {
  environment_id     = var.environment_id
  name               = var.changed ? "Staff and guests" : "Staff"
  description        = var.changed ? "Who works with us" : "Who works here"
  preferred_language = var.changed ? "en-GB" : "en"
}

resource "pingone_population" "guests" {
  environment_id = var.environment_id
  name           = "Guests"
}

resource "pingone_group" "approvers" {
  environment_id = var.environment_id
  name           = var.changed ? "Approvers of payments" : "Approvers"
  description    = var.changed ? "May approve payments" : "May approve"
  external_id    = var.changed ? "approvers-2" : "approvers-1"
  population_id  = pingone_population.staff.id
}

# What the environment keeps about a person, each part of it.
resource "pingone_user" "ada" {
  environment_id     = var.environment_id
  population_id      = var.changed ? pingone_population.guests.id : pingone_population.staff.id
  username           = var.changed ? "ada.lovelace" : "ada"
  email              = var.changed ? "ada.lovelace@example.org" : "ada@example.org"
  external_id        = var.changed ? "e-2" : "e-1"
  nickname           = var.changed ? "Countess" : "Ada"
  title              = var.changed ? "Countess" : "Mathematician"
  type               = var.changed ? "guest" : "staff"
  locale             = var.changed ? "fr-FR" : "en-GB"
  preferred_language = var.changed ? "fr;q=1" : "en-gb;q=1"
  timezone           = var.changed ? "Europe/Paris" : "Europe/London"
  mobile_phone       = var.changed ? "+44.7700900002" : "+44.7700900001"
  primary_phone      = var.changed ? "+44.2079460002" : "+44.2079460001"
  enabled            = !var.changed
  mfa_enabled        = !var.changed

  name = {
    formatted        = var.changed ? "Ada King" : "Ada Lovelace"
    given            = "Ada"
    family           = var.changed ? "King" : "Lovelace"
    middle           = var.changed ? "Augusta" : "A."
    honorific_prefix = var.changed ? "Lady" : "Ms"
    honorific_suffix = var.changed ? "II" : "I"
  }

  address = {
    street_address = var.changed ? "2 St James's Square" : "12 St James's Square"
    locality       = var.changed ? "Westminster" : "London"
    region         = var.changed ? "Greater London" : "London"
    postal_code    = var.changed ? "SW1Y 4JH" : "SW1Y 4LB"
    country_code   = var.changed ? "FR" : "GB"
  }

  photo = {
    href = var.changed ? "https://photos.example.org/2.png" : "https://photos.example.org/1.png"
  }

  password = {
    initial_value = "3vident-Passphrase"
    force_change  = false
  }
}

# With as little as the provider lets one say.
resource "pingone_user" "bob" {
  environment_id = var.environment_id
  population_id  = pingone_population.staff.id
  username       = "bob"
  email          = "bob@example.org"
}

resource "pingone_user_group_assignment" "bob_approves" {
  environment_id = var.environment_id
  user_id        = pingone_user.bob.id
  group_id       = pingone_group.approvers.id
}
