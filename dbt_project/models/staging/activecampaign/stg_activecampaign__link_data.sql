{{ link_openings("link_data") }}
