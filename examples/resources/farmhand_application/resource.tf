resource "farmhand_application" "site" {
  name          = "site"
  source        = "${path.module}/site"
  document_root = "public"
}
